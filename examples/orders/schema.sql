-- Who writes what: an order is placed by the order service; its status is then set by whoever has the answer.

CREATE TABLE orders (
  id VARCHAR(36) CHARACTER SET ascii PRIMARY KEY, -- chosen by the customer's side, so that asking twice orders once
  customer VARCHAR(80) NOT NULL,
  sku VARCHAR(20) NOT NULL,
  quantity INT NOT NULL,
  cents INT NOT NULL,
  card VARCHAR(40) NOT NULL, -- a token of the bank's, never a number
  status ENUM('placed', 'reserved', 'confirmed', 'sold-out', 'payment-failed', 'abandoned') NOT NULL,
  placed_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  settled_at TIMESTAMP(6) NULL,
  KEY (status)
);

-- The inventory service's.
CREATE TABLE stock (
  sku VARCHAR(20) PRIMARY KEY,
  stocked INT NOT NULL, -- what there was at first
  available INT NOT NULL CHECK (available >= 0)
);
CREATE TABLE reservations (
  order_id VARCHAR(36) CHARACTER SET ascii PRIMARY KEY,
  sku VARCHAR(20) NOT NULL,
  quantity INT NOT NULL,
  state ENUM('reserved', 'released') NOT NULL
);

-- The payment service's.
CREATE TABLE payments (
  order_id VARCHAR(36) CHARACTER SET ascii PRIMARY KEY,
  cents INT NOT NULL,
  state ENUM('paid', 'declined') NOT NULL
);

-- The notification service's: a row is a message that was sent. Nothing in the table forbids two of one order.
CREATE TABLE messages (
  id BIGINT AUTO_INCREMENT PRIMARY KEY,
  order_id VARCHAR(36) CHARACTER SET ascii NOT NULL,
  customer VARCHAR(80) NOT NULL,
  text VARCHAR(200) NOT NULL,
  KEY (order_id)
);
