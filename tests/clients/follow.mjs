// Follows what is final with polkadot.js, which knows of the chain what its metadata says, and prints a line for each block.
import { ApiPromise, WsProvider } from "@polkadot/api";

const url = process.argv[2];
if (!url) {
  console.error("usage: node follow.mjs ws://ADDRESS:PORT");
  process.exit(2);
}
const api = await ApiPromise.create({ provider: new WsProvider(url), noInitWarn: true });
// A node tells of the last of several blocks that become final together; this asks for those between. One after the other: answers may overtake.
let shown = Promise.resolve();
const show = async (head) => {
  const at = await api.at(head.hash);
  const [set, voters] = await Promise.all([at.query.grandpa.currentSetId(), at.query.grandpa.authorities()]);
  console.log(
    JSON.stringify({ number: head.number.toNumber(), hash: head.hash.toHex(), set: set.toNumber(), voters: voters.length }),
  );
};
await api.derive.chain.subscribeFinalizedHeads((head) => {
  shown = shown.then(() => show(head));
});
