// What the browser remembers of this page. Where that is not allowed, nothing is, and we say so.

const storage = {
  works: true,

  read(name) {
    try {
      return localStorage.getItem(`shamisa ${name}`);
    } catch {
      this.works = false;
      return null;
    }
  },

  write(name, text) {
    try {
      localStorage.setItem(`shamisa ${name}`, text);
    } catch {
      this.works = false;
    }
  },
};
