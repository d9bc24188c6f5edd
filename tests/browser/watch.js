// Runs in every page before its own scripts: what a test wants to know about the past of a page.
window.seen = { linked: false, links: 0, applied: 0, animations: [], said: [], pwned: false };
addEventListener("plenum:link", (event) => {
  seen.linked = event.detail.linked;
  seen.links += seen.linked ? 1 : 0;
}, true);
addEventListener("plenum:applied", () => (seen.applied += 1), true);
addEventListener("animationstart", (event) => seen.animations.push(event.animationName), true);
addEventListener("DOMContentLoaded", () => {
  const region = document.getElementById("say");
  if (region) new MutationObserver(() => region.textContent && seen.said.push(region.textContent)).observe(region, { childList: true });
});
