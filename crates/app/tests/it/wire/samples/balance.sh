curl -X GET https://pro.irecharge.net/api/billing/balance \
-H "X-Open-Key: ok_test_YOUR_OPEN_KEY" \
-H "X-Authorization: sk_test_YOUR_SECRET_KEY"
