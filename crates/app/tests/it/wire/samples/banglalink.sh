BASE_URL="https://pro.irecharge.net/api/billing"
OPEN_KEY="ok_test_YOUR_OPEN_KEY"
SECRET_KEY="sk_test_YOUR_SECRET_KEY"
PHONE="01912345678"
curl --request POST "${BASE_URL}/recharge/offers/purchase" \
--header "X-Open-Key: ${OPEN_KEY}" \
--header "X-Authorization: ${SECRET_KEY}" \
--header "Content-Type: application/json" \
--data '{
"operator": "banglalink",
"number": "'"${PHONE}"'",
"offerId": "OFF32071",
"amount": "549",
"tranId": "4891011729527520112",
"reference": "BILL-20260204-0003"
}'
