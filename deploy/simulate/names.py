"""French given and family names as lists spell them, and as other lists spell the same person.

No two entries of a list are the same name once case, accents, hyphens, apostrophes and particles are left aside (a
test proves it), so two people who differ by entry differ as people.
"""

import unicodedata
from random import Random
from typing import Final, NamedTuple


def _listed(text: str) -> tuple[str, ...]:
    """Names separated by semicolons, over several lines."""
    return tuple(name.strip() for name in text.split(";"))


FAMILY_NAMES: Final = _listed(
    """
    Martin;Bernard;Thomas;Petit;Robert;Richard;Durand;Dubois;Moreau;Laurent;Simon;Michel;Lefèvre;Leroy;Roux;David;
    Bertrand;Morel;Fournier;Girard;Bonnet;Dupont;Lambert;Fontaine;Rousseau;Vincent;Muller;Lefebvre;Faure;André;
    Mercier;Blanc;Guérin;Boyer;Garnier;Chevalier;François;Legrand;Gauthier;Garcia;Perrin;Robin;Clément;Morin;Nicolas;
    Henry;Roussel;Mathieu;Gautier;Masson;Marchand;Duval;Denis;Dumont;Marie;Lemaire;Noël;Meyer;Dufour;Meunier;Brun;
    Blanchard;Giraud;Joly;Rivière;Lucas;Brunet;Gaillard;Barbier;Arnaud;Martinez;Gérard;Roche;Renard;Schmitt;Roy;
    Leroux;Colin;Vidal;Caron;Picard;Roger;Fabre;Aubert;Lemoine;Renaud;Dumas;Lacroix;Olivier;Philippe;Bourgeois;
    Pierre;Benoît;Rey;Leclerc;Payet;Rolland;Leclercq;Guillaume;Lecomte;Lopez;Jean;Dupuy;Guillot;Hubert;Berger;
    Carpentier;Sanchez;Dupuis;Moulin;Louis;Deschamps;Huet;Vasseur;Perez;Boucher;Fleury;Royer;Klein;Jacquet;Adam;
    Paris;Poirier;Marty;Aubry;Guyot;Carré;Charles;Renault;Charpentier;Ménard;Maillard;Baron;Bertin;Bailly;Hervé;
    Schneider;Fernandez;Collet;Léger;Bouvier;Julien;Prévost;Millet;Perrot;Daniel;Cousin;Germain;Breton;Besson;
    Langlois;Rémy;Pelletier;Lévêque;Perrier;Leblanc;Barré;Lebrun;Marchal;Weber;Mallet;Hamon;Boulanger;Jacob;Monnier;
    Michaud;Rodriguez;Guichard;Gillet;Étienne;Grondin;Poulain;Tessier;Chevallier;Collin;Chauvin;Bouchet;Gay;Lemaître;
    Bénard;Maréchal;Humbert;Reynaud;Antoine;Hoarau;Perret;Barthélemy;Cordier;Pichon;Lejeune;Gilbert;Lamy;Delaunay;
    Pasquier;Carlier;Laporte;Quéré;Koenig;Schwartz;Zimmermann;Wagner;Kieffer;Heitz;Etcheverry;Ithurralde;Harispe;
    Colonna;Santoni;Casanova;Mattei;Paoli;Leca;Benali;Haddad;Belkacem;Bouzid;Khelifi;Mansouri;Cherif;Amrani;El Idrissi;
    Ben Salah;Ould Ahmed;Diallo;Traoré;N'Diaye;M'Bengue;Koné;Camara;Coulibaly;Sissoko;Touré;Konaté;Da Silva;Dos Santos;
    Ferreira;Pereira;Gonçalves;Da Costa;Rodrigues;Nguyen;Tran;Pham;Yılmaz;Kaya;Demir;Öztürk;Kowalski;Nowak;Wiśniewski;
    Rossi;Bianchi;D'Amico;D'Angelo;De Luca;Van den Berghe;Vermeersch;Deprez;Delattre;Lebœuf;Cœurderoy;
    Le Goff;Le Gall;Le Bihan;Le Guen;Le Bris;L'Hermite;L'Hostis;L'Huillier;La Rocca;La Fontaine des Bois;
    De La Tour;De Saint-Martin;Du Plessis;Des Roches;Du Parc;D'Hondt;D'Almeida;De Oliveira;De Souza;De Castro;
    Saint-Aubin;Saint-Pol;Jean-Baptiste;Jean-Louis;Marie-Sainte;Rose-Marie;Belle-Isle;Petit-Jean;Grand-Pierre;
    Beau-Soleil;Martin-Lefort;Roche-Bayard;Célestin;Sainte-Rose;Luce;Bellance;Virassamy;Técher;Boyer-Vidal;Ah-Kam;
    Mohamed-Ali;Saïd-Omar;Attoumani;Madi;Teriierooiterai;Tehei;Temarii;Wamytan;Waheo;Kilama;Apatou;Zéphir;Horth;
    Ho-A-Chuck;Briand;Detcheverry;Poitier;Malmaison;Gros-Désirs;Bourdon;Lenormand;Lepage;Levasseur;Quémeneur;Kerboul;
    Abgrall;Guivarc'h;Floc'h;Croc'hemore;Bozec;Tanguy;Morvan;Cadiou;Riou;Jézéquel;Thébault;Chéreau;Bréhier;Péan;
    Gâtineau;Bâcle;Forêt;Crépin;Dieudonné;Évrard;Félix;Gaël;Héloin;Isaïe;Joël;Noémie;Raphaël;Siméon;Théophile;Ursule
    """
)

GIVEN_NAMES_F: Final = _listed(
    """
    Marine;Laura;Camille;Manon;Léa;Pauline;Mélanie;Océane;Mathilde;Chloé;Marie;Anaïs;Justine;Lucie;Amandine;Élodie;
    Morgane;Emma;Sarah;Julie;Charlotte;Alexandra;Clara;Inès;Noémie;Coralie;Audrey;Émilie;Aurélie;Jessica;Cindy;
    Margaux;Alice;Claire;Juliette;Céline;Ophélie;Fanny;Solène;Estelle;Laurine;Mélissa;Cassandra;Tiffany;Kelly;Jennifer;
    Samantha;Priscilla;Vanessa;Sabrina;Nadia;Fatima;Aïcha;Yasmine;Samira;Khadija;Aminata;Fatou;Mariam;Awa;Salomé;
    Anne-Sophie;Marie-Laure;Marie-Ève;Anne-Laure;Marie-Christine;Lou-Anne;Maëva;Maëlle;Maïwenn;Gwenaëlle;Nolwenn;
    Rozenn;Aziliz;Anaëlle;Joëlle;Gaëlle;Raphaëlle;Isabelle;Sophie;Nathalie;Valérie;Stéphanie;Delphine;Virginie;
    Ludivine;Angélique;Séverine;Émeline;Héloïse;Thaïs;Loïse;Zoé;Agathe;Blandine;Capucine;Églantine;Faustine;Flore;
    Gladys;Hélène;Ilona;Jade;Karine;Lætitia;Mégane;Ninon;Oriane;Perrine;Romane;Sixtine;Tatiana;Victoria;Wendy;Yaëlle;
    Zineb;Soumaya;Rania;Leïla;Meriem;Dounia;Hanane;Ikram;Djamila;Tehani;Vaiana;Hinano;Andréa;Eva;Lisa;Louise;Jeanne
    """
)

GIVEN_NAMES_M: Final = _listed(
    """
    Kévin;Alexandre;Thomas;Nicolas;Maxime;Antoine;Quentin;Romain;Anthony;Jordan;Dylan;Valentin;Florian;Benjamin;Julien;
    Clément;Lucas;Alexis;Guillaume;Adrien;Hugo;Corentin;Jérémy;Théo;Rémi;Vincent;Loïc;Mathieu;Pierre;Simon;Arthur;
    Bastien;Damien;David;Aurélien;Steven;Mickaël;Jonathan;Brandon;Kyllian;Killian;Enzo;Louis;Paul;Tristan;Victor;Gaëtan;
    Tony;Johnny;Teddy;Jimmy;Cédric;Fabien;Ludovic;Grégory;Sylvain;Yoann;Ronan;Erwan;Gwendal;Yann;Malo;Briac;Judicaël;
    Jean-Pierre;Jean-Baptiste;Jean-Marie;Jean-Luc;Pierre-Yves;Paul-Henri;Marc-Antoine;Louis-Marie;Jean-François;
    Charles-Édouard;Mohamed;Mehdi;Karim;Samir;Youssef;Ibrahim;Amadou;Moussa;Ousmane;Mamadou;Cheikh;Bakary;Sofiane;
    Bilal;Nassim;Rayan;Ilyès;Walid;Zakaria;Abdelkader;Émile;Étienne;Éric;Grégoire;Raphaël;Gabriel;Noé;Léo;Mathis;
    Nathan;Baptiste;Axel;Bryan;Christopher;Cyril;Denis;Dorian;Édouard;Félix;François;Frédéric;Gaspard;Geoffrey;Joël;
    Joris;Josué;Kenny;Léandre;Logan;Luc;Marvin;Maël;Morgan;Nolan;Olivier;Pascal;Patrick;Philippe;Raphaël-Marie;Régis;
    Renaud;Robin;Samuel;Sébastien;Stéphane;Thibault;Tanguy;Teva;Manuarii;Wilfried;William;Xavier;Yanis;Zinedine;Ange
    """
)

_LIGATURES: Final = {"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ı": "i"}
_PARTICLES: Final = ("de ", "du ", "des ", "le ", "la ", "d'", "l'")


class Name(NamedTuple):
    """A person's name: given names are separated by commas, the first of them tells people apart."""

    family: str
    given: str

    @property
    def first_given(self) -> str:
        return self.given.split(",", 1)[0]


def draw_name(rng: Random, sex: str) -> Name:
    """A name; the front of the lists is more frequent, a fifth of the people have more than one given name."""
    given_names = GIVEN_NAMES_F if sex == "F" else GIVEN_NAMES_M
    family = FAMILY_NAMES[int(len(FAMILY_NAMES) * rng.random() ** 1.7)]
    given = given_names[int(len(given_names) * rng.random() ** 1.5)]
    if rng.random() < 0.2:
        second = given_names[int(len(given_names) * rng.random())]
        if second != given:
            given = f"{given}, {second}"
    return Name(family, given)


def misspelt(rng: Random, name: Name) -> Name:
    """The same person's name as another base spells it; all that differs is what must not matter."""
    family, given = name
    roll = rng.random()
    if roll < 0.45:
        family, given = without_accents(family).upper(), without_accents(given).upper()
    elif roll < 0.60:
        family, given = family.lower(), given.replace("-", " ")
    elif roll < 0.75:
        family, given = family.replace("-", " "), without_accents(given)
    elif roll < 0.85:
        family = family.replace("'", "\u2019").replace(" ", "  ")
    else:
        family = _without_particle(family) or f"{rng.choice(('de', 'du', 'Le'))} {family}"
    if "," in given and rng.random() < 0.5:
        given = given.split(",", 1)[0]
    if (family, given) == name:
        family = without_accents(family).upper()
    return Name(family, given)


def mistyped(rng: Random, name: Name) -> Name:
    """A name with a slip of the keyboard: another name, that only an INE can bring together with the right one."""
    at = rng.randrange(1, len(name.family))
    return Name(name.family[:at] + name.family[at - 1] + name.family[at:] + "e", name.given)


def without_accents(text: str) -> str:
    """The text with its letters bare, as capitals are often keyed."""
    for ligature, letters in _LIGATURES.items():
        text = text.replace(ligature, letters)
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _without_particle(family: str) -> str | None:
    for particle in _PARTICLES:
        if family.lower().startswith(particle):
            return family[len(particle) :]
    return None
