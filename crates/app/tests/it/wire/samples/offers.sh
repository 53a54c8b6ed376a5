BASE_URL="https://pro.irecharge.net/api/billing"
OPEN_KEY="ok_live_YOUR_OPEN_KEY"
SECRET_KEY="sk_live_YOUR_SECRET_KEY"
PHONE="01937395849"
OPERATOR="banglalink"
curl --request GET "${BASE_URL}/recharge/offers?number=${PHONE}&operator=${OPERATOR}" \
--header "X-Open-Key: ${OPEN_KEY}" \
--header "X-Authorization: ${SECRET_KEY}"
