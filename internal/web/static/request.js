// Requests to the server, which may be behind a proxy that requires a login.
import { offerSignOut } from "./signout.js";

/** loginExpired is the error of a request that a proxy answers with its login, or Outpost with 401. */
export const loginExpired = "the login has expired";

/**
 * request returns the response of the server. Proxies tell clients that accept JSON plainly that a login is missing. Others redirect:
 * followed to another server, that would look like a lost connection. X-Requested-With keeps the server from a challenge that would open the
 * browser's own dialog.
 */
export async function request(address, { signal, headers } = {}) {
  const response = await fetch(address, { signal, cache: "no-store", redirect: "manual", headers: { Accept: "application/json", "X-Requested-With": "XMLHttpRequest", ...headers } });
  if (!isLogin(response)) {
    offerSignOut(response);
    return response;
  }
  response.body?.cancel(); // an unread page keeps its connection
  throw new Error(loginExpired);
}

/** isLogin reports whether a response is a login. Outpost redirects none of the page's requests, and answers none with HTML or 403. */
function isLogin({ type, status, ok, headers }) {
  const isHTML = (headers.get("Content-Type") || "").startsWith("text/html");
  return type === "opaqueredirect" || status === 401 || status === 403 || (ok && isHTML);
}
