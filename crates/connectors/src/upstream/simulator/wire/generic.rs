//! A panel as a server, played by its own file: calls are read by the file's texts, and answered
//! from its cases.

use super::{
    Book, Booked, Bought, Placed, ServiceSettings, SimulatedCall, SimulatedReply, SimulatedService,
    order, reply_or_lost,
};
use crate::upstream::generic::file::{CaseStep, Want};
use crate::upstream::generic::served::{
    Arrived, ReplyFacts, ServedCall, ServedOrder, ServedPanel, ServedReply,
};
use crate::upstream::simulator::script::Script;
use domain::{Answer, EnquiryOutcome, Environment, Kind, Money};
use std::io;

struct PanelService {
    panel: ServedPanel,
    book: Book,
}

/// Of the panel's file; one that is not safe is an error.
pub(super) fn open(settings: ServiceSettings) -> io::Result<Box<dyn SimulatedService>> {
    let unusable = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let panel = ServedPanel::load(&settings.file).map_err(unusable)?;
    Ok(Box::new(PanelService { panel, book: Book::open(settings, "generic")? }))
}

impl SimulatedService for PanelService {
    fn answer(&self, call: &SimulatedCall) -> SimulatedReply {
        match self.panel.read(&arrived(call)) {
            Some(ServedCall::Submit(order)) => self.sell(&order),
            Some(ServedCall::Query { attempt, reference, id }) => {
                let by_reference = attempt.and_then(|one| self.book.find(&one.to_string()));
                let booked =
                    by_reference.or_else(|| id.and_then(|theirs| self.book.find_theirs(&theirs)));
                self.tell(attempt, reference, booked.as_ref())
            }
            Some(ServedCall::Login) => sent(self.panel.log_in("simulated-token")),
            Some(ServedCall::Balance) => {
                let left = Money::new(
                    self.book.float_minor(|booked| booked.order.amount),
                    self.panel.currency(),
                );
                sent(self.panel.balance(left))
            }
            Some(ServedCall::Prepare(order)) => {
                let facts = ReplyFacts { order: &order, id: "1" };
                sent(self.panel.reply(CaseStep::Prepare, Want::Accepted, &facts))
            }
            None => unknown_call(),
        }
    }

    fn may_be_lost(&self, call: &SimulatedCall) -> bool {
        let read = self.panel.read(&arrived(call));
        matches!(read, Some(ServedCall::Submit(_) | ServedCall::Query { .. }))
    }
}

impl PanelService {
    fn sell(&self, asked: &ServedOrder) -> SimulatedReply {
        let bought = Bought { kind: Kind::Recharge, operator: &asked.operator };
        let new = order(asked.attempt, Environment::Live, bought, &asked.recipient, asked.amount);
        match self.book.place(new) {
            Placed::New(booked, state) => reply_or_lost(&booked, || {
                // A panel that never says "delivered" to a sale says that it took the order.
                let wants = [want_of(&state), Want::Accepted];
                self.reply(CaseStep::Submit, &wants, &booked, Some(asked.reference.clone()))
            }),
            // What a panel says to a repeated reference is in no file: no answer.
            Placed::Used | Placed::NotRead(_) | Placed::Broken => SimulatedReply::Nothing,
        }
    }

    fn tell(
        &self,
        attempt: Option<domain::AttemptRef>,
        reference: Option<String>,
        booked: Option<&Booked>,
    ) -> SimulatedReply {
        let Some(booked) = booked else {
            let Some(attempt) = attempt else { return unknown_call() };
            let amount = Money::zero(self.panel.currency());
            let nobody = ServedOrder {
                attempt,
                reference: reference.unwrap_or_default(),
                recipient: String::new(),
                amount,
                operator: String::new(),
            };
            let facts = ReplyFacts { order: &nobody, id: "" };
            return sent(self.panel.reply(CaseStep::Query, Want::NotFound, &facts));
        };
        if booked.script == Script::Mute {
            return SimulatedReply::Nothing;
        }
        let wants = match want_of(&self.book.state(booked)) {
            // Panels without a word of its own for it say that the order failed.
            Want::Reversed => vec![Want::Reversed, Want::Refused],
            want @ (Want::Delivered
            | Want::Accepted
            | Want::Refused
            | Want::NotFound
            | Want::Unknown) => vec![want],
        };
        self.reply(CaseStep::Query, &wants, booked, reference)
    }

    /// The answer with the reference as it arrived; one that was asked about by the panel's id has
    /// the time at which it came.
    fn reply(
        &self,
        step: CaseStep,
        wants: &[Want],
        booked: &Booked,
        reference: Option<String>,
    ) -> SimulatedReply {
        let id = booked.theirs().to_string();
        let attempt = booked.order.attempt;
        let reference = reference.unwrap_or_else(|| self.panel.reference_of(attempt, booked.at));
        let order = ServedOrder {
            attempt,
            reference,
            recipient: booked.order.recipient.clone(),
            amount: booked.order.amount,
            operator: booked.order.operator.clone(),
        };
        let facts = ReplyFacts { order: &order, id: &id };
        sent(wants.iter().find_map(|want| self.panel.reply(step, *want, &facts)))
    }
}

fn arrived(call: &SimulatedCall) -> Arrived<'_> {
    Arrived {
        method: &call.method,
        path: &call.path,
        query: &call.query,
        headers: &call.headers,
        body: &call.body,
    }
}

const fn want_of(state: &EnquiryOutcome) -> Want {
    match state {
        EnquiryOutcome::Answered(answer) => match answer {
            Answer::Delivered { .. } => Want::Delivered,
            Answer::Refused { .. } | Answer::RefusedAsRepeat { .. } => Want::Refused,
            Answer::Accepted { .. }
            | Answer::Unknown { .. }
            | Answer::Unclear { .. }
            | Answer::Unaskable { .. } => Want::Accepted,
        },
        EnquiryOutcome::NotFound => Want::NotFound,
        EnquiryOutcome::Reversed { .. } => Want::Reversed,
    }
}

/// The reply; what the file has no case for is not answered.
fn sent(reply: Option<ServedReply>) -> SimulatedReply {
    match reply {
        Some(ServedReply { status, body }) => SimulatedReply::Answer { status, body },
        None => SimulatedReply::Nothing,
    }
}

fn unknown_call() -> SimulatedReply {
    SimulatedReply::Answer { status: 404, body: "no call of the file\n".to_owned() }
}
