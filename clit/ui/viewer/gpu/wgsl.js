// @ts-check
// What kernels share. A kernel is a function that writes WGSL for given widths. Its numbers of channels are counted in
// vec4s, four channels each: a name that ends in 4 is such a number.

/** Text for each of 0..n-1, a line each: what would be a loop, but keeps its variables in registers. @param {number} n @param {(i: number) => string} text */
export const unroll = (n, text) => Array.from({ length: n }, (_, i) => text(i)).join("\n");

/** Declarations of the uniform `sizes` and of storage buffers, "name: element" or "out name: element". @param {string} fields of the uniform @param {...string} buffers */
export const bindings = (fields, ...buffers) =>
  [
    `struct Sizes { ${fields} }`,
    "@group(0) @binding(0) var<uniform> sizes: Sizes;",
    ...buffers.map((each, i) => {
      const [name, element] = each.replace("out ", "").split(": ");
      return `@group(0) @binding(${i + 1}) var<storage, ${each.startsWith("out ") ? "read_write" : "read"}> ${name}: array<${element}>;`;
    }),
  ].join("\n");

export const RELU = "fn activate(x: vec4f) -> vec4f { return max(x, vec4f()); }";

// x (1 + erf(x / sqrt(2))) / 2, erf as a quotient of polynomials: those of the compiled kernels of the server.
export const GELU = `
fn activate(x: vec4f) -> vec4f {
  let z = clamp(x * 0.70710678, vec4f(-3.8325069), vec4f(3.8325069));
  let s = z * z;
  let top = (((s * 2.2905065861e-4 + 3.4082910107e-3) * s + 5.0955695062e-2) * s + 1.8520832240e-1) * s + 1.1283791435;
  let bottom = (((((s * -1.1791602954e-7 + 2.3547966471e-5) * s + 1.0179625279e-3) * s + 1.4070470172e-2) * s
    + 1.1098505178e-1) * s + 4.9746925110e-1) * s + 1;
  let half = 0.5 * x;
  return half + half * (z * top / bottom);
}`;

// cos(pi t) and sin(pi t): WGSL's own may err by 5e-4. With r = t less a multiple of 2, cos(pi r) = 1 - 2 sin(pi r / 2)^2,
// and sin is a polynomial there.
export const WAVES = `
fn cos_pi(t: vec4f) -> vec4f {
  let x = (t - 2 * round(t * 0.5)) * 1.57079633;
  let s = x * x;
  let sine = x * (1 + s * (-1.6666667e-1 + s * (8.3333333e-3 + s * (-1.9841270e-4 + s * (2.7557319e-6 - s * 2.4960e-8)))));
  return 1 - 2 * sine * sine;
}
fn sin_pi(t: vec4f) -> vec4f { return cos_pi(t - 0.5); }`;
