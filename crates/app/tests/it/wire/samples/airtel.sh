BASE_URL="https://pro.irecharge.net/api/billing"
OPEN_KEY="ok_test_YOUR_OPEN_KEY"
SECRET_KEY="sk_test_YOUR_SECRET_KEY"
PHONE="01612345678"
curl --request POST "${BASE_URL}/recharge/offers/purchase" \
--header "X-Open-Key: ${OPEN_KEY}" \
--header "X-Authorization: ${SECRET_KEY}" \
--header "Content-Type: application/json" \
--data '{
"operator": "airtel",
"number": "'"${PHONE}"'",
"amount": "698",
"ticketId": "243753368.243753368.243753368.1746120780000.507401.67335-1570h_",
"reference": "BILL-20260204-0002"
}'
