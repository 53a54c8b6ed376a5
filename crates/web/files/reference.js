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

// Its third colour of text is too pale to be read by everybody; and where it is narrow, links under
// the title keep their icons alone and lose their names for those who hear the page.
const readable = `
  .light-mode.light-mode { --scalar-color-3: #6b6b6b; }
  .dark-mode.dark-mode { --scalar-color-3: #949494; }
  .scalar-app .icons-only a > span {
    display: block;
    position: absolute;
    inline-size: 1px;
    block-size: 1px;
    overflow: hidden;
    clip-path: inset(50%);
  }
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
  customCss: tables + readable,
});
