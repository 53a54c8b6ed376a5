// Starts Scalar on our two documents, without third-party fonts, telemetry, proxy, assistant or
// cloud buttons.
Scalar.createApiReference("#app", {
  sources: [
    {
      title: "Billing API (/api/billing)",
      slug: "billing",
      url: "/openapi/irecharge.json",
      default: true,
    },
    { title: "Wallet API (/api/wallet/v1)", slug: "wallet", url: "/openapi/rechargely.json" },
  ],
  withDefaultFonts: false,
  telemetry: false,
  proxyUrl: "",
  hideClientButton: true,
  showDeveloperTools: "never",
  agent: { disabled: true },
  persistAuth: false,
});
