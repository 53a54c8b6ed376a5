curl -X POST 'https://rechargely.online/api/wallet/v1/transactions/bill-payment/auth' \
  -H 'Authorization: Bearer <access_token>' \
  -H 'X-Channel-Id: WEB' \
  -H 'Content-Type: application/json' \
  -d '{
  "preAuthToken": "string",
  "requestId": "string"
}'
