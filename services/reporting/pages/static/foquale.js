// Live figures and sorting. Every page works without it.
"use strict";

(() => {
  const collator = new Intl.Collator(document.documentElement.lang);

  // Sorting: the links of the header do the same on the server.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("table[data-sortable] a.sort");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    const header = link.closest("th");
    const table = link.closest("table");
    const wanted = header.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
    sort(table, header.cellIndex, header.cellIndex === 0 && !header.hasAttribute("aria-sort") ? "ascending" : wanted);
    history.replaceState(null, "", withSort(link.dataset.key, header.getAttribute("aria-sort")));
  });

  function sort(table, column, direction) {
    const body = table.tBodies[0];
    const sign = direction === "ascending" ? 1 : -1;
    const value = (row) => {
      const cell = row.cells[column];
      if (column === 0) return cell.textContent.trim();
      return cell.dataset.value === "" ? null : Number(cell.dataset.value);
    };
    const rows = [...body.rows].filter((row) => !row.classList.contains("total"));
    rows.sort((left, right) => {
      const a = value(left), b = value(right);
      const labels = collator.compare(left.cells[0].textContent, right.cells[0].textContent);
      if (a === null || b === null) return (a === null) - (b === null) || labels;
      return sign * (typeof a === "number" ? a - b : collator.compare(a, b)) || labels;
    });
    body.append(...rows, ...[...body.rows].filter((row) => row.classList.contains("total")));
    for (const header of table.tHead.rows[0].cells) {
      const arrow = header.querySelector(".arrow");
      if (header.cellIndex === column) header.setAttribute("aria-sort", direction);
      else header.removeAttribute("aria-sort");
      if (arrow) arrow.textContent = header.cellIndex === column ? (sign > 0 ? "▲" : "▼") : "";
    }
  }

  function withSort(key, direction) {
    const address = new URL(location.href);
    address.searchParams.set("sort", direction === "ascending" ? key : `-${key}`);
    return address;
  }

  // Live figures: when told that they moved, ask for this page again and put its figures in their places.
  const bar = document.querySelector("[data-live]");
  if (!bar || !window.EventSource) return;
  const state = bar.querySelector(".live-state");
  const button = bar.querySelector("button");
  let source = null, again = null, asking = false, moved = false;
  bar.hidden = false;

  function say(text) {
    if (state.textContent !== text) state.textContent = text;
  }

  function open() {
    clearTimeout(again);
    source = new EventSource(bar.dataset.live);
    source.onopen = () => say(bar.dataset.on);
    source.addEventListener("figures", refresh);
    source.onerror = () => {
      say(bar.dataset.lost);
      if (source.readyState === EventSource.CLOSED) again = setTimeout(open, 5000);
    };
  }

  function close() {
    clearTimeout(again);
    if (source) source.close();
    source = null;
  }

  button.addEventListener("click", () => {
    const paused = source !== null;
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? bar.dataset.resume : bar.dataset.pause;
    if (paused) { close(); say(bar.dataset.paused); }
    else { open(); refresh(); }
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted && button.getAttribute("aria-pressed") === "false") open(); });
  open();

  async function refresh() {
    moved = true;
    if (asking) return;
    asking = true;
    try {
      while (moved && source) {
        moved = false;
        const answer = await fetch(location.href, { headers: { accept: "text/html" } });
        if (answer.ok) put(new DOMParser().parseFromString(await answer.text(), "text/html"));
      }
    } catch { /* the next message tries again */ } finally { asking = false; }
  }

  // Only what differs is touched: focus, selection, scrolling and what is open stay as they are.
  function put(fresh) {
    const changed = merge(document.getElementById("main"), fresh.getElementById("main"));
    if (changed) say(bar.dataset.moved);
  }

  function merge(old, fresh) {
    if (old.isEqualNode(fresh)) return 0;
    if (old.nodeType === Node.TEXT_NODE && fresh.nodeType === Node.TEXT_NODE) {
      old.data = fresh.data;
      if (old.parentElement && !old.ownerSVGElement && !old.parentElement.ownerSVGElement) flash(old.parentElement);
      return 1;
    }
    if (old.nodeName !== fresh.nodeName || old.nodeType !== Node.ELEMENT_NODE || old.childNodes.length !== fresh.childNodes.length) {
      if (old.contains(document.activeElement) && old !== document.activeElement && old.nodeName === "FORM") return 0;
      old.replaceWith(document.importNode(fresh, true));
      return 1;
    }
    if (old.matches("select, input, textarea")) return 0;
    for (const { name, value } of [...fresh.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !["open", "class"].includes(name)) old.removeAttribute(name);
    let count = 0;
    const theirs = [...fresh.childNodes];
    [...old.childNodes].forEach((child, place) => { count += merge(child, theirs[place]); });
    return count;
  }

  function flash(element) {
    element.classList.remove("changed");
    void element.offsetWidth;
    element.classList.add("changed");
  }
})();
