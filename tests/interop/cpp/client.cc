// A client of ReservationService on libgrpc++: begins the calls that stdin asks for, each an Ask of
// ../driver.proto on a line of JSON, and writes how each ended, a Told, on stdout.
// Run: client ADDRESS. Expects nothing; the tests do.
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include "atp/v1/reservation_service.grpc.pb.h"
#include "driver.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace {

using atp::v1::ReservationService;
using interop::Ask;
using interop::Told;
using Context = std::shared_ptr<grpc::ClientContext>;

std::mutex output;
std::mutex under_way_mutex;
std::map<std::string, Context> under_way;

// What an error's details say, as a caller in this language reads them.
void read_details(const grpc::Status& status, Told* told) {
  google::rpc::Status packed;
  if (!packed.ParseFromString(status.error_details())) return;
  for (const google::protobuf::Any& detail : packed.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    if (detail.UnpackTo(&info)) {
      told->set_domain(info.domain());
      told->set_reason(info.reason());
      *told->mutable_metadata() = info.metadata();
    } else if (detail.UnpackTo(&bad)) {
      told->set_field(bad.field_violations(0).field());
    }
  }
}

void tell(const Ask& ask, const grpc::Status& status, Told told) {
  told.set_id(ask.id());
  told.set_code(status.error_code());
  told.set_text(status.error_message());
  read_details(status, &told);
  std::string line;
  google::protobuf::util::MessageToJsonString(told, &line);
  {
    std::lock_guard<std::mutex> alone(under_way_mutex);
    under_way.erase(ask.id());
  }
  std::lock_guard<std::mutex> alone(output);
  std::cout << line << std::endl;
}

template <typename Request, typename Response>
using Method = grpc::Status (ReservationService::Stub::*)(grpc::ClientContext*, const Request&,
                                                          Response*);

template <typename Request, typename Response>
void call(ReservationService::Stub* stub, Method<Request, Response> method, const Context& context,
          const Ask& ask) {
  Request request;
  Response response;
  Told told;
  if (!request.ParseFromString(ask.requests(0))) std::abort();
  const grpc::Status status = (stub->*method)(context.get(), request, &response);
  if (status.ok()) told.add_replies(response.SerializeAsString());
  tell(ask, status, std::move(told));
}

void execute(ReservationService::Stub* stub, const Context& context, const Ask& ask) {
  Told told;
  const auto stream = stub->Execute(context.get());
  std::thread writer([&] {
    for (const std::string& bytes : ask.requests()) {
      atp::v1::ExecuteRequest batch;
      if (!batch.ParseFromString(bytes)) std::abort();
      if (!stream->Write(batch)) return;
    }
    stream->WritesDone();
  });
  atp::v1::ExecuteResponse response;
  while (stream->Read(&response)) told.add_replies(response.SerializeAsString());
  writer.join();
  tell(ask, stream->Finish(), std::move(told));
}

void begin(ReservationService::Stub* stub, const Context& context, const Ask& ask) {
  using Stub = ReservationService::Stub;
  const std::string& method = ask.method();
  if (method == "Reserve") return call(stub, &Stub::Reserve, context, ask);
  if (method == "Commit") return call(stub, &Stub::Commit, context, ask);
  if (method == "Release") return call(stub, &Stub::Release, context, ask);
  if (method == "Extend") return call(stub, &Stub::Extend, context, ask);
  if (method == "GetReservation") return call(stub, &Stub::GetReservation, context, ask);
  if (method == "GetAvailability") return call(stub, &Stub::GetAvailability, context, ask);
  if (method == "Execute") return execute(stub, context, ask);
  std::cerr << "no such method: " << method << std::endl;
  std::abort();
}

Context new_context(const Ask& ask) {
  auto context = std::make_shared<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() +
                        std::chrono::milliseconds(ask.timeout_ms()));
  context->set_wait_for_ready(ask.wait_for_ready());
  return context;
}

}  // namespace

int main(int, char** arguments) {
  grpc::ChannelArguments settings;
  settings.SetMaxReceiveMessageSize(-1);
  const auto channel =
      grpc::CreateCustomChannel(arguments[1], grpc::InsecureChannelCredentials(), settings);
  const auto stub = ReservationService::NewStub(channel);
  std::vector<std::thread> callers;
  for (std::string line; std::getline(std::cin, line);) {
    Ask ask;
    if (!google::protobuf::util::JsonStringToMessage(line, &ask).ok()) std::abort();
    std::lock_guard<std::mutex> alone(under_way_mutex);
    if (ask.method().empty()) {
      const auto found = under_way.find(ask.id());
      if (found != under_way.end()) found->second->TryCancel();
      continue;
    }
    const Context context = under_way[ask.id()] = new_context(ask);
    callers.emplace_back([&stub, context, ask] { begin(stub.get(), context, ask); });
  }
  for (std::thread& caller : callers) caller.join();
}
