// Shows the OpenAPI document. Calls made from the page use the browser's own session, so they carry its CSRF token.
(function () {
  "use strict";
  const place = document.getElementById("docs");
  const header = place.dataset.csrfHeader;

  function csrfToken() {
    const found = document.cookie.split("; ").find((part) => part.startsWith("csrftoken="));
    return found ? decodeURIComponent(found.slice("csrftoken=".length)) : "";
  }

  window.SwaggerUIBundle({
    url: place.dataset.schema,
    domNode: place,
    deepLinking: true,
    docExpansion: "none",
    filter: true,
    validatorUrl: null,
    requestInterceptor: (request) => {
      const token = csrfToken();
      if (token && new URL(request.url, location.href).origin === location.origin) {
        request.headers[header] = token;
      }
      return request;
    },
  });
})();
