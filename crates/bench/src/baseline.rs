//! The baseline endpoint: axum parses the same JSON as a recharge, answers as many bytes, and
//! stores nothing. It is the most that this machine can do over HTTP. It runs in a process of its
//! own, as the measured servers do.

use anyhow::Context as _;
use axum::{Json, Router, routing::post};
use serde::{Deserialize, Serialize};

/// The body of a recharge request.
#[derive(Deserialize)]
struct RechargeRequest {
    number: String,
    amount: u32,
    #[serde(rename = "operator")]
    _operator: String,
    #[serde(rename = "service_type")]
    _service_type: String,
    reference: String,
}

/// The body of a recharge's answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RechargeResponse {
    success: bool,
    message: &'static str,
    billing: Billing,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Billing {
    reference: String,
    status: &'static str,
    recharge_type: &'static str,
    number: String,
    amount: u32,
    fee: &'static str,
    commission: &'static str,
    remaining_balance: &'static str,
    transaction_id: u64,
}

/// Serves on a free loopback port, whose address it prints, until the process is stopped.
pub(crate) fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        crate::report::print_line(&listener.local_addr()?.to_string());
        let app = Router::new().route(crate::load::RECHARGE, post(answer));
        axum::serve(listener, app).await.context("serving the bare endpoint")
    })
}

async fn answer(Json(request): Json<RechargeRequest>) -> Json<RechargeResponse> {
    Json(RechargeResponse {
        success: true,
        message: "Recharge processed successfully",
        billing: Billing {
            reference: request.reference,
            status: "success",
            recharge_type: "normal",
            number: request.number,
            amount: request.amount,
            fee: "0.5",
            commission: "1.5",
            remaining_balance: "123456789.5",
            transaction_id: 123_456_789_012,
        },
    })
}
