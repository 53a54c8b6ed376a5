curl -X POST 'https://rechargely.online/api/wallet/v1/transactions/bill-payment/pre-auth' \
  -H 'Authorization: Bearer <access_token>' \
  -H 'X-Channel-Id: WEB' \
  -H 'Content-Type: application/json' \
  -d '{
  "amount": 0,
  "productId": 0,
  "requestId": "string",
  "billReference": "string",
  "customerMobile": "string",
  "additionalData": {
    "additionalProp1": "string",
    "additionalProp2": "string",
    "additionalProp3": "string"
  }
}'
