// Starts Scalar on our document: no fonts, telemetry, proxy, assistant or cloud buttons of others.
Scalar.createApiReference("#app", {
  url: "/openapi/irecharge.json",
  withDefaultFonts: false,
  telemetry: false,
  proxyUrl: "",
  hideClientButton: true,
  showDeveloperTools: "never",
  agent: { disabled: true },
  persistAuth: false,
});
