#!/bin/bash
# Run once by the MySQL image, on an empty data folder: a database to try with, and the account that
# Rowcall reads the binlog with. It has no right to read or write any table.
set -euo pipefail

mysql --user=root --password="$MYSQL_ROOT_PASSWORD" <<SQL
CREATE DATABASE IF NOT EXISTS shop;
CREATE TABLE shop.orders (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer VARCHAR(100) NOT NULL,
  status ENUM('NEW', 'PAID', 'SHIPPED') NOT NULL DEFAULT 'NEW',
  total DECIMAL(10, 2) NOT NULL
);
CREATE USER 'rowcall'@'%' IDENTIFIED BY '${ROWCALL_PASSWORD}';
GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'rowcall'@'%';
SQL
