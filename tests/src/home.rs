//! A home: a machine behind a router that translates addresses and forwards nothing, beside the network of this machine.
//!
//! ```text
//! machine 192.168.1.2 ── 192.168.1.1 router 198.18.B.2 ── 198.18.A.1 this machine
//! ```
//!
//! What leaves the home comes from another /24, B = A + 1, than what leaves this machine. The addresses are those that RFC 2544 keeps for benchmarks: no network
//! that this machine is in has them.

use crate::{
    lab::{forward, sh},
    Result,
};
use std::{
    collections::BTreeSet,
    ffi::OsString,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::Command,
};

/// A home that is gone when this is dropped.
pub struct Home {
    name: String,
    net: u8,
    forwarded: BTreeSet<u16>,
}

impl Home {
    /// Makes it. The error says why there can be none here.
    ///
    /// # Errors
    ///
    /// Without root, `ip` or `nft`, or where the kernel has no namespaces.
    pub fn new() -> Result<Self> {
        let id = std::process::id();
        // Another one on this machine has another net, most likely; if not, this fails.
        let home = Self { name: format!("weir-h{id}"), net: (id % 127) as u8 * 2, forwarded: BTreeSet::new() };
        let (name, net) = (&home.name, home.net);
        let (machine, router, link) = (format!("{name}-m"), format!("{name}-r"), format!("wh{id}"));
        for namespace in [&machine, &router] {
            sh(&format!("ip netns add {namespace}"))?;
            sh(&format!("ip -n {namespace} link set lo up"))?;
        }
        sh(&format!("ip link add {link} type veth peer name wan netns {router}"))?;
        sh(&format!("ip addr add 198.18.{net}.1/23 dev {link}"))?;
        sh(&format!("ip link set {link} up"))?;
        sh(&format!("ip -n {machine} link add eth0 type veth peer name lan netns {router}"))?;
        for (namespace, link, address) in [
            (&router, "wan", format!("198.18.{}.2/23", net + 1)),
            (&router, "lan", "192.168.1.1/24".into()),
            (&machine, "eth0", "192.168.1.2/24".into()),
        ] {
            sh(&format!("ip -n {namespace} addr add {address} dev {link}"))?;
            sh(&format!("ip -n {namespace} link set {link} up"))?;
        }
        sh(&format!("ip -n {machine} route add default via 192.168.1.1"))?;
        let on_router = |arguments: &[&str]| -> Result<()> {
            let output = Command::new("ip").args(["netns", "exec", &router]).args(arguments).output()?;
            match output.status.success() {
                true => Ok(()),
                false => Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim()).into()),
            }
        };
        on_router(&["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"])?;
        for rule in [
            "add table ip nat",
            "add chain ip nat out { type nat hook postrouting priority 100 ; }",
            "add rule ip nat out oifname wan masquerade random",
            "add table ip filter",
            "add chain ip filter forward { type filter hook forward priority 0 ; policy accept ; }",
            "add rule ip filter forward iifname wan ct state new drop",
        ] {
            on_router(&["nft", rule])?;
        }
        Ok(home)
    }

    /// Where this machine is reached from the home.
    pub fn outside(&self) -> IpAddr {
        Ipv4Addr::new(198, 18, self.net, 1).into()
    }

    /// Where the home is seen from this machine.
    pub fn seen_at(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.net + 1, 2)
    }

    /// The arguments that make `ip` run a program in the home.
    pub fn inside(&self, program: &Path) -> Vec<OsString> {
        let machine = format!("{}-m", self.name);
        ["netns", "exec", &machine].iter().map(OsString::from).chain([program.into()]).collect()
    }

    /// Lets the home reach a TCP port of this machine's loopback as one of its own: a node answers nobody who names it otherwise.
    ///
    /// # Errors
    ///
    /// When the port cannot be had at home.
    pub fn forward(&mut self, port: u16) -> Result<()> {
        if !self.forwarded.insert(port) {
            return Ok(());
        }
        forward(format!("{}-m", self.name), port)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // The link outside goes with the router.
        for which in ["m", "r"] {
            let _ = sh(&format!("ip netns del {}-{which}", self.name));
        }
    }
}
