curl -X POST 'https://rechargely.online/api/wallet/v1/authenticate/customers' \
  -H 'Content-Type: application/json' \
  -H 'Accept: */*' \
  -H 'Content-Type: application/json' \
  -d '{
  "username": "user@example.com",
  "password": "yourPassword",
  "fcmToken": "firebase_token_here"
}'
