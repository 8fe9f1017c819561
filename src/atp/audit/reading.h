// Reads changes ahead of the replay, on a thread of its own: the event, the numbers of what it
// names, the command that says to have done it, and whether it is what that asked for and was told.
// Owns the order of blocks and the names while it lives. Knows nothing of the ledger, which comes
// after it.
#pragma once
#include <atomic>
#include <exception>
#include <thread>

#include "commands.h"
#include "content.h"

namespace atp::audit {

constexpr std::uint32_t kNobody = 0xffffffffu;

// A change that has been read.
struct Prepared {
  Event event;
  Asked asked;                // by the command that says to have done it, if there is one
  Told told;
  const char* why = nullptr;  // it is not what was asked, or told; as far as its bytes say
};

class Reading {
 public:
  // `explained_by`: the command of each change, or kNobody; that of a change that was taken out may
  // be set meanwhile.
  Reading(const History* history, const Journal* journal,
          const Table<std::uint32_t>* explained_by, Names* names)
      : history_(history), journal_(journal), explained_by_(explained_by), names_(names),
        next_(journal->first), reader_([this] { read_all(); }) {}
  ~Reading() {
    is_over_.store(true);
    taken_.fetch_add(kBlocks);
    taken_.notify_one();
    reader_.join();
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  // How many changes have been read, more than the `applied` ones, which are given back; waits for
  // the next. `add` is called for every new SKU, in the order of their numbers. Throws what kept
  // the reader from going on.
  template <class Add>
  std::size_t more(std::size_t applied, Add add) {
    const auto taken = static_cast<std::uint32_t>(applied / kBlock);
    if (taken != taken_.load(std::memory_order_relaxed)) {
      taken_.store(taken, std::memory_order_release);
      taken_.notify_one();
    }
    if (known_ <= applied) made_.wait(seen_, std::memory_order_acquire);
    for (const std::uint32_t made = made_.load(std::memory_order_acquire); seen_ != made; ++seen_) {
      const Block& block = blocks_[seen_ % kBlocks];
      if (block.failure) std::rethrow_exception(block.failure);
      for (const Text sku : block.new_skus) add(sku);
      known_ += block.count;
    }
    return known_;
  }
  Prepared& operator[](std::size_t at) {
    return blocks_[at / kBlock % kBlocks].changes[at % kBlock];
  }

 private:
  static constexpr std::size_t kBlock = 64;  // all but the last have so many
  static constexpr std::uint32_t kBlocks = 16;

  struct Block {
    std::vector<Prepared> changes = std::vector<Prepared>(kBlock);
    std::size_t count = 0;
    std::vector<Text> new_skus;   // in the order of their numbers
    std::exception_ptr failure;
  };

  void read_all() {
    for (std::uint32_t made = 0;; ++made) {
      std::uint32_t taken = taken_.load(std::memory_order_acquire);
      while (made - taken >= kBlocks && !is_over_.load()) {
        taken_.wait(taken, std::memory_order_acquire);
        taken = taken_.load(std::memory_order_acquire);
      }
      if (is_over_.load()) return;
      Block& block = blocks_[made % kBlocks];
      block.count = 0;
      block.new_skus.clear();
      try {
        read_block(&block);
      } catch (...) {
        block.failure = std::current_exception();
      }
      const bool is_last = next_ > journal_->last() || block.failure;
      made_.store(made + 1, std::memory_order_release);
      made_.notify_one();
      if (is_last) return;
    }
  }

  // In steps, so that what many changes want of memory is on its way at once.
  void read_block(Block* block) {
    const std::int64_t first = next_;
    const auto left = static_cast<std::size_t>(journal_->last() + 1 - first);
    const std::size_t count = std::min(kBlock, left);
    next_ = first + static_cast<std::int64_t>(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t command = command_of(first + static_cast<std::int64_t>(i));
      if (command != kNobody) __builtin_prefetch(&history_->commands[command]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      Event* event = &block->changes[i].event;
      const std::int64_t sequence = first + static_cast<std::int64_t>(i);
      read_event(sequence, journal_->event_bytes(sequence), event);
      if (event->kind <= Change::kExtended) names_->holds.fetch(event->key);
      const std::uint32_t command = command_of(sequence);
      if (command != kNobody) fetch_bytes(history_->commands[command]);
    }
    for (std::size_t i = 0; i < count; ++i) names_->holds.fetch_row(block->changes[i].event.key);
    for (std::size_t i = 0; i < count; ++i) {
      resolve(&block->changes[i].event, block);
      compare(&block->changes[i]);
      block->count = i + 1;
    }
  }
  std::uint32_t command_of(std::int64_t sequence) const {
    return (*explained_by_)[static_cast<std::size_t>(sequence - journal_->first)];
  }
  static void fetch_bytes(const Command& command) {
    __builtin_prefetch(command.request);
    __builtin_prefetch(command.request + 64);
    __builtin_prefetch(command.response);
    __builtin_prefetch(command.response + 64);
  }

  // Gives numbers to what the event names, in the order of the journal.
  void resolve(Event* event, Block* block) {
    for (Units& line : event->lines) line.number = number_of(line.sku, block);
    switch (event->kind) {
      case Change::kReserved:
        event->receipt_before = names_->receipts.find(event->key);
        if (event->has_replaced) event->other_hold = names_->holds.find(event->replaced);
        event->hold = names_->holds.add({event->key});
        name_subjects(event);
        break;
      case Change::kStockChanged: event->sku_number = number_of(event->sku, block); break;
      case Change::kCapSet:
        for (const Text name : read_cap(event->cap).sku_names) {
          event->cap_skus.push_back(number_of(name, block));
        }
        break;
      case Change::kCapRemoved: break;
      default: event->hold = names_->holds.find(event->key);
    }
    if (!event->has_receipt) return;
    event->other_hold = names_->holds.find(event->receipt);
    event->receipt_before = names_->receipts.add({event->receipt});
  }
  std::uint32_t number_of(Text sku, Block* block) {
    return names_->number_of_sku(sku, [=](Text added) { block->new_skus.push_back(added); });
  }
  static void name_subjects(Event* event) {
    event->customer_key = key_of(event->customer);
    event->address_key = key_of(unmapped(address_of(event->address)).view());
  }

  void compare(Prepared* change) {
    const Event& event = change->event;
    change->why = nullptr;
    const std::uint32_t number = command_of(event.sequence);
    if (number == kNobody || event.kind == Change::kExpired) return;
    const Command& command = history_->commands[number];
    read_asked(command.method, command.asked(), &change->asked);
    change->why = content_.asked_for(command.method, change->asked, event);
    if (change->why != nullptr) return;
    read_told(command.method, command.told(), &change->told);
    change->why = content_.told(command.method, change->asked, change->told, event);
  }

  const History* history_;
  const Journal* journal_;
  const Table<std::uint32_t>* explained_by_;
  Names* names_;
  Content content_;
  std::int64_t next_;
  std::vector<Block> blocks_ = std::vector<Block>(kBlocks);
  std::size_t known_ = 0;  // changes, and blocks, that the replay knows to have been read
  std::uint32_t seen_ = 0;
  std::atomic<std::uint32_t> made_{0}, taken_{0};  // blocks
  std::atomic<bool> is_over_{false};
  std::thread reader_;  // the last, so that all else is there when it begins
};

}  // namespace atp::audit
