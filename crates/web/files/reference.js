// Starts Scalar on our two documents, without third-party fonts, telemetry, proxy, assistant or
// cloud buttons.
// Scalar gives every column the same width and breaks words anywhere: a code then fills five lines.
const tables = `
  .scalar-app .markdown table { display: block; width: 100%; overflow-x: auto; table-layout: auto; }
  .scalar-app .markdown table :is(th, td) {
    padding: 0.4rem 0.6rem;
    word-break: normal;
    overflow-wrap: normal;
  }
  .scalar-app .markdown table td:not(:last-child) code { white-space: nowrap; }
`;

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
  customCss: tables,
});
