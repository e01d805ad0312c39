// Loads the page anew where one of its files was lost on the way, as when the network changes.
// A lost module would leave the page as it is without a word.

(() => {
  const KEY = "credit-decision-reloads";
  const MOST = 5;
  const PAUSE = 250; // milliseconds; twice as long before each further reload
  let isLost = false;

  const isNeeded = (node) => node instanceof HTMLScriptElement || node.rel === "stylesheet";

  addEventListener("error", ({ target }) => {
    if (isLost || !(target instanceof Element) || !isNeeded(target)) return;
    isLost = true;
    const reloads = Number(sessionStorage.getItem(KEY) ?? 0);
    if (reloads < MOST) {
      sessionStorage.setItem(KEY, reloads + 1);
      setTimeout(() => location.reload(), PAUSE * 2 ** reloads);
    } else {
      sessionStorage.removeItem(KEY);
      document.documentElement.classList.add("lost");
    }
  }, true);
  addEventListener("load", () => { if (!isLost) sessionStorage.removeItem(KEY); });
})();
