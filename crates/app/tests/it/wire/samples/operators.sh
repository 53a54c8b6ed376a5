curl --location 'https://pro.irecharge.net/api/billing/operators?country=bd&service=mobile-recharge&search=robi' \
--header 'X-Open-Key: ok_test_YOUR_OPEN_KEY' \
--header 'X-Authorization: sk_test_YOUR_SECRET_KEY'
