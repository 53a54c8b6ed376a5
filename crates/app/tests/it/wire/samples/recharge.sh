curl -X POST https://pro.irecharge.net/api/billing/service-requests/recharge/normal \
-H "X-Open-Key: ok_test_YOUR_OPEN_KEY" \
-H "X-Authorization: sk_test_YOUR_SECRET_KEY" \
-H "Content-Type: application/json" \
-d '{
"number": "01712345678",
"amount": 10,
"operator": "gp",
"service_type": "prepaid",
"webhook_url": "https://your-domain.com/webhooks/recharge",
"reference": "BILL-026401"
}'
