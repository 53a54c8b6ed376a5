curl -X GET 'https://rechargely.online/api/wallet/v1/products/products-list-category/{categoryId}' \
  -H 'Authorization: Bearer <access_token>' \
  -H 'X-Channel-Id: WEB'
