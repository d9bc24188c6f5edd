/** The code that a guest brings: the address of a registration, `…/r/<slug>.<number>.<secret>`. */

/** @typedef {{slug: string, number: number, token: string}} Ticket */

const ADDRESS = /\/r\/([A-Za-z0-9][\w-]*)\.((\d{1,9})\.[A-Za-z0-9]+)(?:[/?#].*)?$/;

/**
 * @param {string} text
 * @returns {Ticket | null}
 */
export function read(text) {
  const [, slug, token, number] = ADDRESS.exec(text.trim()) ?? [];
  return slug && token ? { slug, token: token.toUpperCase(), number: Number(number) } : null;
}

/** Whether this page can prove codes: without TLS browsers have no SubtleCrypto. */
export function canProve() {
  return Boolean(globalThis.crypto?.subtle);
}

/**
 * Whether the server has made it: `proof` is the SHA-256 of the token, which the list of guests holds, so that no connection is
 * needed.
 * @param {Ticket} ticket
 * @param {string} proof
 */
export async function isGenuine(ticket, proof) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(ticket.token));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("") === proof;
}
