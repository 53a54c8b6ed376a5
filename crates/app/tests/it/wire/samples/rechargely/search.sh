curl -X GET 'https://rechargely.online/api/wallet/v1/public/products/search?query=airtime'
