// How many characters are left of a text. Without this script the server says so when the form is sent.
"use strict";
for (const area of document.querySelectorAll("textarea[data-most]")) {
  const count = document.getElementById(`${area.id}-count`);
  const most = Number(area.dataset.most);
  const tell = () => {
    const left = most - [...area.value.trim()].length;
    const text = left < 0 ? area.dataset.tooLong : area.dataset.left;
    count.textContent = text.replace("{n}", Math.abs(left).toLocaleString(document.documentElement.lang));
    count.classList.toggle("over", left < 0);
  };
  area.addEventListener("input", tell);
  tell();
}
document.querySelector(".wrong, .done")?.focus();
