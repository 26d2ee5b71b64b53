// What is asked and told in dialogs.

import { agreementFigures } from "./agreement.js";
import { count, element } from "./element.js";
import { forBrowser } from "./storage.js";

const NAME = "groupemo-name";
const RENEWAL = 3000; // milliseconds

/** Ask who labels; `wrong` says why the last answer would not do. Gives {annotator, role}. */
export async function askWho(dialog, wrong) {
  const form = dialog.querySelector("form");
  const text = dialog.querySelector(".wrong");
  form.elements.annotator.value ||= forBrowser.getItem(NAME) ?? "";
  Object.assign(text, { hidden: !wrong, textContent: wrong ?? "" });
  dialog.open = true; // not modal: in a notebook the rest stays in use, and keeps the focus it has
  if (document.activeElement === document.body) form.elements.annotator.focus();
  await new Promise((done) => (form.onsubmit = done));
  const who = Object.fromEntries(new FormData(form));
  who.annotator = who.annotator.trim();
  forBrowser.setItem(NAME, who.annotator);
  return who;
}

/** Ask whether a photo with faces left is to be called complete all the same. */
export async function askUnfinished(dialog, left) {
  const have = left === 1 ? "has" : "have";
  dialog.querySelector("p").textContent =
    `${count(left, "face")} of this photo ${have} no label. Until each has one (0: unsure, ` +
    "9: not a face), the photo is written as not complete.";
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  return dialog.returnValue === "complete";
}

/** Show the figures that the desk gives, renewed while they are shown. */
export function showAgreement(dialog, desk) {
  const place = dialog.querySelector(".figures");
  let shown = null;
  const renew = async () => {
    const reply = await desk.ask({ do: "agreement" }).catch(({ message }) => ({ message }));
    const now = JSON.stringify(reply);
    if (now === shown) return; // what is being read, or has the focus, stays
    shown = now;
    place.replaceChildren(...(reply.message ? [reply.message] : agreementFigures(reply)));
  };
  place.replaceChildren("...");
  dialog.showModal();
  renew();
  const timer = setInterval(() => (dialog.isConnected ? renew() : clearInterval(timer)), RENEWAL);
  dialog.addEventListener("close", () => clearInterval(timer), { once: true });
}

/** Fill the dialog of keys from their table. */
export function fillKeys(dialog, table) {
  const heading = (text) =>
    element("tr", {}, element("th", { colSpan: 2, scope: "rowgroup", className: "group" }, text));
  const row = (keys, does) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, element("kbd", {}, keys)),
      element("td", {}, does),
    );
  const rows = table.map(([keys, does]) => (does ? row(keys, does) : heading(keys)));
  dialog
    .querySelector(".tables")
    .replaceChildren(element("table", {}, element("tbody", {}, ...rows)));
}
