import { close, open, send } from './client.js';

// Member is a connection that joins the channel and keeps account of what arrives.
export class Member {
  constructor(plan, count, time) {
    this.plan = plan;
    this.count = count;
    this.time = time;
    this.joined = false; // in time
    this.arrived = new Uint8Array(plan.publishers * plan.each);
    this.left = plan.publishers * plan.each;
    this.last = new Array(plan.publishers).fill(-1);
    this.socket = open({
      opened: (socket) => send(socket, 'join', { channel: plan.channel }, 'join'),
      received: (value, at) => this.received(value, at),
      closed: (wasOpen) => {
        if (!wasOpen) count.refused.add(1);
      },
    });
  }

  received(value, at) {
    if (value.id === 'join') {
      this.joined = value.ok === true && at < this.plan.begin;
      return;
    }
    const { p, n, t } = value;
    const slot = p * this.plan.each + n;
    if (this.arrived[slot]) {
      this.count.repeated.add(1);
      return;
    }
    this.arrived[slot] = 1;
    this.left--;
    this.count.deliveries.add(1);
    const byPost = p < this.plan.posters;
    this.time.delivery.add(at - t, { via: byPost ? 'post' : 'command' });
    // Posts overlap on several connections, so only commands have an order.
    if (!byPost && n < this.last[p]) this.count.misordered.add(1);
    this.last[p] = n;
  }

  complete() {
    return this.left === 0;
  }

  close() {
    if (this.left > 0) this.count.missing.add(this.left);
    close(this.socket);
  }
}
