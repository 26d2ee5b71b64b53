// What the browser keeps for the labeller. Where it keeps nothing, for it is full or the person has
// forbidden it, the page itself does, for as long as it is open.

class Store {
  constructor(name) {
    this.own = new Map();
    try {
      this.storage = window[name];
    } catch {
      this.storage = null;
    }
  }

  getItem(key) {
    return this.own.get(key) ?? this.storage?.getItem(key) ?? null;
  }

  setItem(key, text) {
    try {
      this.storage.setItem(key, text);
      this.own.delete(key);
    } catch {
      this.own.set(key, text);
    }
  }

  removeItem(key) {
    this.own.delete(key);
    this.storage?.removeItem(key);
  }

  /** The keys that other tabs can see, too. */
  keys() {
    return Object.keys(this.storage ?? {});
  }
}

export const forBrowser = new Store("localStorage");
export const forTab = new Store("sessionStorage");
