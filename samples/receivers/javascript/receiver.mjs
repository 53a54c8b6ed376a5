// Receives Saldo's webhooks, and believes only what Saldo has signed.
//
//     npm install standardwebhooks@1.1.1
//     WEBHOOK_SECRET=whsec_... PORT=9000 node receiver.mjs

import { createServer } from "node:http";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const BODY_BYTES_MAX = 64 * 1024;

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
// Better a unique column, written in the same commit as what the event changes.
const seen = new Set();

createServer(async (request, response) => {
  try {
    const body = await bytes(request);
    response.statusCode = body === null ? 413 : receive(body, request.headers);
  } catch (error) {
    console.error(error);
    response.statusCode = 500;
  }
  response.end();
}).listen(process.env.PORT, "127.0.0.1");

// The bytes as they came: what is parsed and printed again has another signature.
async function bytes(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function receive(body, headers) {
  let event;
  try {
    event = webhook.verify(body, headers);
  } catch (error) {
    if (error instanceof WebhookVerificationError) return 400;
    throw error;
  }
  // An event may come twice; its id tells.
  const id = headers["webhook-id"];
  if (!seen.has(id)) {
    seen.add(id);
    // A test tells of no purchase.
    const { reference = "-", status = "-" } = event.transaction ?? {};
    console.log(event.event, reference, status);
  }
  return 204;
}
