const offersResponse = await fetch("https://pro.irecharge.net/api/billing/recharge/offers?number=01937395849&operator=banglalink", {
headers: {
"X-Open-Key": "ok_live_YOUR_OPEN_KEY",
"X-Authorization": "sk_live_YOUR_SECRET_KEY"
}
});
const offersData = await offersResponse.json();
const selectedOffer = offersData.offers[0];
const purchaseBody = selectedOffer.ticketId
? {
operator: selectedOffer.operator ?? offersData.operator,
number: selectedOffer.number ?? offersData.number,
amount: selectedOffer.amount,
ticketId: selectedOffer.ticketId,
reference: `ORDER-${Date.now()}`,
webhook_url: "https://example.com/webhooks/recharge"
}
: {
operator: selectedOffer.operator ?? offersData.operator,
number: selectedOffer.number ?? offersData.number,
amount: selectedOffer.amount,
offerId: selectedOffer.offerId,
tranId: selectedOffer.tranId,
reference: `ORDER-${Date.now()}`,
webhook_url: "https://example.com/webhooks/recharge"
};
const purchaseResponse = await fetch("https://pro.irecharge.net/api/billing/recharge/offers/purchase", {
method: "POST",
headers: {
"Content-Type": "application/json",
"X-Open-Key": "ok_live_YOUR_OPEN_KEY",
"X-Authorization": "sk_live_YOUR_SECRET_KEY"
},
body: JSON.stringify(purchaseBody)
});
const purchaseData = await purchaseResponse.json();
