curl --location --request POST 'https://pro.irecharge.net/api/billing/transactions/status/check' \
--header 'X-Open-Key: ok_test_YOUR_OPEN_KEY' \
--header 'X-Authorization: sk_test_YOUR_SECRET_KEY' \
--header 'Content-Type: application/json' \
--data '{
"transaction_id": 1
}'
