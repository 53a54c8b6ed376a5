curl --location 'https://pro.irecharge.net/api/billing/wallet/balance' \
--header 'X-Open-Key: ok_test_YOUR_OPEN_KEY' \
--header 'X-Authorization: sk_test_YOUR_SECRET_KEY'
