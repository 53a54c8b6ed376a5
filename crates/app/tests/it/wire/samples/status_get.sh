curl --location 'https://pro.irecharge.net/api/billing/transactions/status/check?reference=BILL-20260204-0001' \
--header 'X-Open-Key: ok_test_YOUR_OPEN_KEY' \
--header 'X-Authorization: sk_test_YOUR_SECRET_KEY'
