//! `canis approval list`, `show`, `approve`, `deny`, `cancel`: requests that others have to approve.

use crate::approval_args::{ApprovalCommand, DenyArgs, ListApprovalsArgs};
use crate::args::Connection;
use crate::{connect, files, show};
use canis_proto::Result;
use canis_proto::approval::{
    ApprovalInfo, ApproveRequest, CancelRequest, DenyRequest, ListApprovals, ShowApproval,
};
use serde_json::{Value, json};

pub(crate) fn run(connection: &Connection, command: &ApprovalCommand, json: bool) -> Result<()> {
    match command {
        ApprovalCommand::List(args) => list(connection, args, json),
        ApprovalCommand::Show(args) => {
            let request = ShowApproval { id: args.id.as_str().into() };
            show_request(&connect::open(connection)?.call(&request)?, json)
        }
        ApprovalCommand::Approve(args) => {
            let request = ApproveRequest { id: args.id.as_str().into() };
            done(&connect::open(connection)?.call(&request)?, "you have approved", json)
        }
        ApprovalCommand::Deny(args) => deny(connection, args, json),
        ApprovalCommand::Cancel(args) => {
            let request = CancelRequest { id: args.id.as_str().into() };
            done(&connect::open(connection)?.call(&request)?, "you have taken back", json)
        }
    }
}

fn list(connection: &Connection, args: &ListApprovalsArgs, json: bool) -> Result<()> {
    let request = ListApprovals { on: args.on.as_str().into(), waiting: args.waiting };
    let list = connect::open(connection)?.call(&request)?;
    if json {
        return show::json(&Value::Array(list.requests.iter().map(info_json).collect()));
    }
    let line = |info: &ApprovalInfo| {
        let (state, counted) = (&info.state, counted(info));
        format!("{}\t{state}\t{counted}\t{}\t{}\t{}\n", info.id, info.operation, info.on, info.requester_name)
    };
    files::print(list.requests.iter().map(line).collect::<String>().as_bytes())
}

fn deny(connection: &Connection, args: &DenyArgs, json: bool) -> Result<()> {
    let request = DenyRequest { id: args.id.as_str().into(), reason: args.reason.as_str().into() };
    done(&connect::open(connection)?.call(&request)?, "you have denied", json)
}

fn done(info: &ApprovalInfo, what: &str, json: bool) -> Result<()> {
    if json {
        return show::json(&info_json(info));
    }
    let ApprovalInfo { operation, on, requester_name, state, .. } = info;
    let counted = counted(info);
    files::print(
        format!("{what} {operation} on {on} for {requester_name}: it is {state} ({counted})\n").as_bytes(),
    )
}

/// How many approvals count, of how many.
fn counted(info: &ApprovalInfo) -> String {
    let counting = info.approvals.iter().filter(|approval| approval.counts).count();
    format!("{counting} of {}", info.needed)
}

fn show_request(info: &ApprovalInfo, json: bool) -> Result<()> {
    if json {
        return show::json(&info_json(info));
    }
    let mut out = format!(
        "request      {}\noperation    {}\non           {}\nasked by     {} ({})\nstate        {}\napprovals    {}\n",
        info.id,
        info.operation,
        info.on,
        info.requester_name,
        info.requester,
        info.state,
        counted(info),
    );
    if !info.approvers.is_empty() {
        out.push_str(&format!("approvers    bearers of {}\n", info.approvers.join(", ")));
    }
    for approval in &info.approvals {
        let note = if approval.counts { "" } else { ", no longer counts" };
        let at = show::time(approval.at);
        out.push_str(&format!("approved by  {} ({}) at {at}{note}\n", approval.name, approval.who));
    }
    out.push_str(&format!(
        "asked at     {}\nends at      {}\n",
        show::time(info.created_at),
        show::time(info.expires_at)
    ));
    if let Some(at) = info.settled_at {
        out.push_str(&format!("settled at   {}\n", show::time(at)));
    }
    if let Some(reason) = &info.reason {
        out.push_str(&format!("reason       {}\n", one_line(reason)));
    }
    for argument in &info.arguments {
        out.push_str(&format!("  {} = {}\n", argument.name, one_line(&argument.value)));
    }
    files::print(out.as_bytes())
}

/// What somebody else has written, so that it cannot look like a line of ours.
fn one_line(text: &str) -> String {
    text.chars().map(|one| if one == '\n' { "\n      ".to_owned() } else { printable(one) }).collect()
}

fn printable(one: char) -> String {
    if one.is_control() { one.escape_default().to_string() } else { one.to_string() }
}

fn info_json(info: &ApprovalInfo) -> Value {
    let approvals = info.approvals.iter().map(|approval| {
        json!({
            "who": approval.who,
            "name": approval.name,
            "at": show::time(approval.at),
            "counts": approval.counts,
        })
    });
    let arguments = info.arguments.iter().map(|told| (told.name.clone(), Value::from(told.value.as_str())));
    json!({
        "id": info.id,
        "operation": info.operation,
        "on": info.on,
        "requester": info.requester,
        "requester_name": info.requester_name,
        "state": info.state,
        "needed": info.needed,
        "approvers": info.approvers,
        "approvals": approvals.collect::<Vec<_>>(),
        "arguments": arguments.collect::<serde_json::Map<_, _>>(),
        "reason": info.reason,
        "created_at": show::time(info.created_at),
        "expires_at": show::time(info.expires_at),
        "settled_at": info.settled_at.map(show::time),
    })
}
