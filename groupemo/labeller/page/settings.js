// What each person sets for themselves, kept in this browser.

import { forBrowser } from "./storage.js";

const PREFIX = "groupemo-";
const THEMES = ["automatic", "light", "dark"];

export class Settings {
  /** The checkboxes `names` of the page are kept, on until they are turned off. */
  constructor(root, ...names) {
    this.root = root;
    this.boxes = Object.fromEntries(
      names.map((name) => [name, root.querySelector(`[name=${name}]`)]),
    );
    for (const [name, box] of Object.entries(this.boxes)) {
      box.checked = forBrowser.getItem(PREFIX + name) !== "off";
      box.onchange = () => forBrowser.setItem(PREFIX + name, box.checked ? "on" : "off");
    }
    this.theme = forBrowser.getItem(`${PREFIX}theme`) ?? THEMES[0];
  }

  has(name) {
    return this.boxes[name].checked;
  }

  get theme() {
    return this.root.dataset.theme;
  }

  set theme(theme) {
    this.root.dataset.theme = theme;
    forBrowser.setItem(`${PREFIX}theme`, theme);
    this.root.querySelector("[data-do=theme]").textContent = `Colors: ${theme}`;
  }

  nextTheme() {
    this.theme = THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length];
  }
}
