// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>
#include <type_traits>
#include <vector>

namespace rafter::detail {

/// Threads that wait for work and share it task by task. What a task computes must not depend on who does it.
class thread_team {
 public:
  /// @param threads  the caller included; 0: as many as the machine has
  explicit thread_team(std::size_t threads) {
    if (threads == 0) threads = std::thread::hardware_concurrency();
    const std::size_t others = threads > 1 ? threads - 1 : 0;
    failures_.resize(others + 1);
    workers_.reserve(others);
    try {
      for (std::size_t i = 0; i < others; ++i) workers_.emplace_back([this, i] { work(i + 1); });
    } catch (...) {
      stop();
      throw;
    }
  }
  ~thread_team() { stop(); }
  thread_team(const thread_team&) = delete;
  thread_team& operator=(const thread_team&) = delete;

  std::size_t size() const { return workers_.size() + 1; }

  /// Calls task(0) … task(count - 1), each once, on any thread; returns when all are done, and throws what one threw.
  template <class Task> void run(std::size_t count, Task&& task) {
    if (workers_.empty() || count < 2) {
      for (std::size_t i = 0; i < count; ++i) task(i);
      return;
    }
    using callee = std::remove_reference_t<Task>;
    call_ = [](void* what, std::size_t i) { (*static_cast<callee*>(what))(i); };
    task_ = const_cast<void*>(static_cast<const void*>(&task));
    count_ = count;
    next_.store(0, std::memory_order_relaxed);
    running_.store(workers_.size(), std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    take(0);
    for (int spin = 0; running_.load(std::memory_order_acquire) != 0; ++spin) {
      if (spin > patience) std::this_thread::yield();
    }
    for (std::exception_ptr& failure : failures_) {
      if (failure == nullptr) continue;
      const std::exception_ptr thrown = failure;
      for (std::exception_ptr& each : failures_) each = nullptr;
      std::rethrow_exception(thrown);
    }
  }

 private:
  static constexpr int patience =
      4000;  // looks before giving the processor away: waking up costs tens of microseconds

  std::vector<std::thread> workers_;
  std::vector<std::exception_ptr> failures_;
  void (*call_)(void*, std::size_t) = nullptr;
  void* task_ = nullptr;
  std::size_t count_ = 0;
  bool stop_ = false;
  alignas(64) std::atomic<std::size_t> next_{0};
  alignas(64) std::atomic<std::size_t> running_{0};
  alignas(64) std::atomic<std::uint64_t> generation_{0};

  void take(std::size_t worker) {
    try {
      for (std::size_t i = next_.fetch_add(1, std::memory_order_relaxed); i < count_;
           i = next_.fetch_add(1, std::memory_order_relaxed)) {
        call_(task_, i);
      }
    } catch (...) {
      failures_[worker] = std::current_exception();
      next_.store(count_, std::memory_order_relaxed);
    }
  }
  void work(std::size_t worker) {
    for (std::uint64_t seen = 0;;) {
      for (int spin = 0; generation_.load(std::memory_order_acquire) == seen; ++spin) {
        if (spin > patience) generation_.wait(seen, std::memory_order_acquire);
      }
      ++seen;
      if (stop_) return;
      take(worker);
      running_.fetch_sub(1, std::memory_order_release);
    }
  }
  void stop() {
    stop_ = true;
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    for (std::thread& each : workers_) each.join();
  }
};

}  // namespace rafter::detail
