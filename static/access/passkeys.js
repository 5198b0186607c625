// Passkeys: turns the server's options into calls of the browser and sends the answers back.
(() => {
  "use strict";
  if (!window.PublicKeyCredential) return;

  const decode = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/").padEnd(Math.ceil(text.length / 4) * 4, "="));
    return Uint8Array.from(plain, (character) => character.charCodeAt(0));
  };
  const encode = (buffer) => {
    let plain = "";
    new Uint8Array(buffer).forEach((byte) => { plain += String.fromCharCode(byte); });
    return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };
  const token = () => document.querySelector("input[name=csrfmiddlewaretoken]").value;
  const post = async (path, body) => {
    const answer = await fetch(path, {
      method: "POST", credentials: "same-origin",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token() }, body: JSON.stringify(body || {}),
    });
    if (answer.redirected) { window.location.assign(answer.url); throw new Error(""); }
    const data = await answer.json();
    if (!answer.ok) throw new Error(data.message || answer.statusText);
    return data;
  };
  const known = (list) => (list || []).map((item) => ({ ...item, id: decode(item.id) }));

  const register = async (name) => {
    const { publicKey } = await post("/web/security/passkeys/begin");
    publicKey.challenge = decode(publicKey.challenge);
    publicKey.user.id = decode(publicKey.user.id);
    publicKey.excludeCredentials = known(publicKey.excludeCredentials);
    const made = await navigator.credentials.create({ publicKey });
    return post("/web/security/passkeys/complete", {
      name,
      credential: {
        id: made.id, rawId: encode(made.rawId), type: made.type,
        response: {
          clientDataJSON: encode(made.response.clientDataJSON),
          attestationObject: encode(made.response.attestationObject),
        },
        clientExtensionResults: made.getClientExtensionResults(),
      },
    });
  };
  const signIn = async () => {
    const { publicKey } = await post("/web/login/passkey/begin");
    publicKey.challenge = decode(publicKey.challenge);
    publicKey.allowCredentials = known(publicKey.allowCredentials);
    const signed = await navigator.credentials.get({ publicKey });
    const wanted = document.querySelector("input[name=redirect]");
    return post("/web/login/passkey/complete", {
      redirect: wanted ? wanted.value : "",
      credential: {
        id: signed.id, rawId: encode(signed.rawId), type: signed.type,
        response: {
          clientDataJSON: encode(signed.response.clientDataJSON),
          authenticatorData: encode(signed.response.authenticatorData),
          signature: encode(signed.response.signature),
          userHandle: signed.response.userHandle ? encode(signed.response.userHandle) : null,
        },
        clientExtensionResults: signed.getClientExtensionResults(),
      },
    });
  };
  const fail = (error) => {
    const place = document.querySelector("[data-passkey-error]");
    if (!place || !error.message) return;
    place.textContent = error.message;
    place.hidden = false;
  };

  document.querySelectorAll("[data-passkey], [data-passkey-register]").forEach((element) => { element.hidden = false; });
  document.querySelectorAll("[data-passkey=login]").forEach((button) => button.addEventListener("click", () => {
    signIn().then((data) => window.location.assign(data.redirect)).catch(fail);
  }));
  document.querySelectorAll("[data-passkey=register]").forEach((button) => button.addEventListener("click", () => {
    const name = document.getElementById("passkey-name").value;
    register(name).then((data) => {
      if (!data.recovery_codes.length) { window.location.reload(); return; }
      const place = document.querySelector("[data-passkey-codes]");
      data.recovery_codes.forEach((code) => {
        const item = document.createElement("li");
        item.textContent = code;
        place.querySelector("ul").append(item);
      });
      place.hidden = false;
    }).catch(fail);
  }));
})();
