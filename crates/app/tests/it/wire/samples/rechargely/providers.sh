curl -X GET 'https://rechargely.online/api/wallet/v1/products/providers/{name}' \
  -H 'Authorization: Bearer <access_token>' \
  -H 'X-Channel-Id: WEB'
