// A client of ReservationService on @grpc/grpc-js: begins the calls that stdin asks for, each an
// Ask of ../driver.proto on a line of JSON, and writes how each ended, a Told, on stdout.
// Run: node client.js ADDRESS PROTO_FOLDER GOOGLE_FOLDER. Expects nothing; the tests do.
"use strict";

const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const protobuf = require("protobufjs");
const readline = require("readline");

const [address, protoFolder, googleFolder] = process.argv.slice(2);
const definition = loader.loadSync("atp/v1/reservation_service.proto", {
  includeDirs: [protoFolder],
  longs: String,
  enums: String,
  oneofs: true,
});
const { ReservationService } = grpc.loadPackageDefinition(definition).atp.v1;
const client = new ReservationService(address, grpc.credentials.createInsecure(), {
  "grpc.max_receive_message_length": -1,
});
const calls = new Map();

// proto-loader shows no decoder of a message that is in no method; protobuf.js has them.
const google = new protobuf.Root();
google.resolvePath = (_, target) =>
  target.startsWith("google/rpc/") ? `${googleFolder}/${target}` : target;
google.loadSync(["google/rpc/status.proto", "google/rpc/error_details.proto"]);
const decode = (name, bytes) => google.lookupType(name).decode(bytes);

// What an error's details say, as a caller in this language reads them.
function detailsOf(error) {
  const packed = error.metadata ? error.metadata.get("grpc-status-details-bin") : [];
  if (packed.length === 0) return {};
  const told = {};
  for (const detail of decode("google.rpc.Status", packed[0]).details) {
    const message = decode(detail.type_url.split("/")[1], detail.value);
    if (detail.type_url.endsWith("google.rpc.ErrorInfo")) {
      Object.assign(told, { domain: message.domain, reason: message.reason });
      told.metadata = message.metadata;
    } else if (detail.type_url.endsWith("google.rpc.BadRequest")) {
      told.field = message.fieldViolations[0].field;
    }
  }
  return told;
}

function tell(id, error, replies) {
  calls.delete(id);
  const told = error
    ? { id, code: error.code, text: error.details, ...detailsOf(error) }
    : { id, code: grpc.status.OK };
  const bytes = replies.map((reply) => reply.toString("base64"));
  process.stdout.write(JSON.stringify({ ...told, replies: bytes }) + "\n");
}

function begin({ id, method, requests, timeout_ms, wait_for_ready }) {
  const service = ReservationService.service[method];
  const written = (reply) => service.responseSerialize(reply);
  const messages = requests.map((bytes) =>
    service.requestDeserialize(Buffer.from(bytes, "base64"))
  );
  const metadata = new grpc.Metadata({ waitForReady: Boolean(wait_for_ready) });
  const options = { deadline: Date.now() + timeout_ms };
  if (!service.requestStream) {
    const answered = (error, reply) => tell(id, error, error ? [] : [written(reply)]);
    calls.set(id, client[method](messages[0], metadata, options, answered));
    return;
  }
  const stream = client[method](metadata, options);
  const replies = [];
  calls.set(id, stream);
  stream.on("data", (reply) => replies.push(written(reply)));
  stream.on("error", (error) => tell(id, error, replies));
  stream.on("status", (status) => status.code === grpc.status.OK && tell(id, null, replies));
  for (const message of messages) stream.write(message);
  stream.end();
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const ask = JSON.parse(line);
  if (ask.method) begin(ask);
  else if (calls.has(ask.id)) calls.get(ask.id).cancel();
}).on("close", () => client.close());
