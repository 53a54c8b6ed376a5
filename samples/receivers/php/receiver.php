<?php
// Receives Saldo's webhooks, and believes only what Saldo has signed.
//
//     WEBHOOK_SECRET=whsec_... SEEN=/var/lib/my-shop/seen php -S 127.0.0.1:9000 receiver.php
//
// Verified by hand, as the specification says (standardwebhooks.com). With Composer at hand, take the
// package standard-webhooks/standard-webhooks instead.

declare(strict_types=1);

const BODY_BYTES_MAX = 64 * 1024;
const TOLERANCE_S = 5 * 60;

function is_signed(string $body, string $id, string $timestamp, string $signatures): bool
{
    if ($id === '' || !ctype_digit($timestamp) || abs(time() - (int) $timestamp) > TOLERANCE_S) {
        return false;
    }
    $key = base64_decode(substr((string) getenv('WEBHOOK_SECRET'), strlen('whsec_')), true);
    if ($key === false || $key === '') {
        return false;
    }
    $digest = base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    // Two of them while a secret is being changed; one that fits is enough.
    foreach (explode(' ', $signatures) as $signature) {
        if (hash_equals("v1,$digest", $signature)) {
            return true;
        }
    }
    return false;
}

// The bytes as they came: what is parsed and printed again has another signature.
$body = (string) file_get_contents('php://input', length: BODY_BYTES_MAX + 1);
$id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
$timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
$signatures = $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '';

if (strlen($body) > BODY_BYTES_MAX) {
    http_response_code(413);
} elseif (!is_signed($body, $id, $timestamp, $signatures)) {
    http_response_code(400);
} else {
    // An event may come twice; its id tells. Better a unique column, written in the same commit as what
    // the event changes.
    if (@mkdir(getenv('SEEN') . '/' . hash('sha256', $id))) {
        $event = json_decode($body, true, 32, JSON_THROW_ON_ERROR);
        // A test tells of no purchase.
        $purchase = $event['transaction'] ?? ['reference' => '-', 'status' => '-'];
        $line = implode(' ', [$event['event'], $purchase['reference'], $purchase['status']]);
        file_put_contents('php://stdout', "$line\n");
    }
    http_response_code(204);
}
