// Owns: the token. It comes in the address' fragment, which no server is sent, leaves the
// address bar at once, and is kept for this tab only. Only api.js sends it, as a header.

const KEY = 'hotsocket-token';

/** Take `#token=…` out of the address; the view `before` is shown again. */
export function takeFromAddress(before = '') {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null) return false;
  history.replaceState(null, '', `${location.pathname}${location.search}${before}`);
  // What cannot be a header's value is no token.
  if (!/^[\x21-\x7e]{1,512}$/.test(token)) return false;
  sessionStorage.setItem(KEY, token);
  return true;
}

export const token = () => sessionStorage.getItem(KEY);
