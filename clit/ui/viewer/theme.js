// @ts-check
// Light or dark, as the system has it: for pages that nobody else sets it for.

export function followSystem() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark", dark.matches);
  dark.addEventListener("change", follow);
  follow();
}
