#!/bin/sh
# Verifies one webhook by hand: its body in a file, its headers and the secret in the environment.
#
#     WEBHOOK_SECRET=whsec_... WEBHOOK_ID=... WEBHOOK_TIMESTAMP=... WEBHOOK_SIGNATURE=... \
#         sh verify.sh body.json
#
# Needs openssl. Ends with 0 if it is signed and at most five minutes old, else with 1.
set -eu

key=$(printf %s "${WEBHOOK_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
signed=$(mktemp)
trap 'rm -f "$signed"' EXIT
# The bytes as they came: what is parsed and printed again has another signature.
{ printf '%s.%s.' "$WEBHOOK_ID" "$WEBHOOK_TIMESTAMP"; cat "$1"; } > "$signed"
digest=$(openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary "$signed" | openssl base64 -A)

age=$(($(date +%s) - WEBHOOK_TIMESTAMP))
[ "$age" -le 300 ] && [ "$age" -ge -300 ] || { echo "too old, or from the future" >&2; exit 1; }
# Two of them while a secret is being changed; one that fits is enough.
for signature in $WEBHOOK_SIGNATURE; do
    [ "$signature" = "v1,$digest" ] && { echo "signed"; exit 0; }
done
echo "not signed with this secret" >&2
exit 1
