curl -X GET 'https://rechargely.online/api/wallet/v1/products/categories' \
  -H 'Authorization: Bearer <access_token>' \
  -H 'X-Channel-Id: WEB'
