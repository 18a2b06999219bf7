// The button to sign out. It is shown while a sign-in answers for the page's requests.

const button = document.getElementById("sign-out");

button.onclick = async () => {
  const root = new URL("../", location.origin + location.pathname); // without the credentials of the page's own address
  await fetch(new URL("sign-out", root), { method: "POST" }).catch(() => null);
  location.reload();
};

/** offerSignOut shows the button if the response is that of a session. */
export function offerSignOut(response) {
  button.hidden = !response.headers.has("Outpost-Session");
}
